//! Records as plain structs: the macro adds the codec, field by field in the
//! order of declaration, which is the order on the wire.

macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident<$lt:lifetime> { $($fields:tt)* }) => {
        $crate::jute::record!(@define [$(#[$meta])*] $name [<$lt>] [$lt] { $($fields)* });
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $crate::jute::record!(@define [$(#[$meta])*] $name [] ['wire] { $($fields)* });
    };
    (@define [$($meta:tt)*] $name:ident [$($generics:tt)*] [$wire:lifetime] {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty),* $(,)?
    }) => {
        $($meta)*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name $($generics)* {
            $($(#[$field_meta])* pub $field: $type),*
        }

        $crate::jute::record!(@encode $name [$($generics)*] { $($field),* });
        $crate::jute::record!(@decode $name [$($generics)*] [$wire] { $($field: $type),* });
    };
    (@encode $name:ident [] { $($field:ident),* }) => {
        impl $crate::Encode for $name {
            #[inline]
            fn encode(&self, out: &mut bytes::BytesMut) {
                $($crate::Encode::encode(&self.$field, out);)*
            }
        }
    };
    (@encode $name:ident [<$lt:lifetime>] { $($field:ident),* }) => {
        impl $crate::Encode for $name<'_> {
            #[inline]
            fn encode(&self, out: &mut bytes::BytesMut) {
                $($crate::Encode::encode(&self.$field, out);)*
            }
        }
    };
    (@decode $name:ident [$($generics:tt)*] [$wire:lifetime] { $($field:ident: $type:ty),* }) => {
        impl<$wire> $crate::Decode<$wire> for $name $($generics)* {
            const MIN_LEN: usize = 0 $(+ <$type as $crate::Decode<$wire>>::MIN_LEN)*;

            #[inline]
            fn decode(reader: &mut $crate::Reader<$wire>) -> Result<Self, $crate::DecodeError> {
                Ok(Self {
                    $($field: $crate::Decode::decode(reader)
                        .map_err(|error| error.within(stringify!($name), stringify!($field)))?,)*
                })
            }
        }
    };
}

pub(crate) use record;

//! Rules that the model can be told to break, to see whether anybody notices.

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// One rule that the model breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[$doc])* $name),*
        }

        impl Mutation {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

mutations! {
    /// Stat's cversion counts creations only.
    CversionCountsCreations,
    /// The loss of a child leaves the parent's pzxid.
    PzxidKeptOnDelete,
    /// A new child leaves the parent's pzxid.
    PzxidKeptOnCreate,
    /// Names of sequential znodes follow the number of children.
    SequenceFromChildCount,
    /// Deletions advance the sequence.
    SequenceCountsDeletes,
    /// The end of a session leaves its ephemerals.
    EphemeralsSurvive,
    /// A one-shot watch stays after its event.
    WatchFiresTwice,
    /// Versions are compared with the next one.
    VersionCheckOffByOne,
    /// setData leaves mzxid.
    MzxidKept,
    /// setData renews ctime.
    CtimeRenewed,
    /// setAcl counts as a change of the data.
    SetAclChangesMzxid,
    /// setAcl does not count.
    AversionKept,
    /// A znode with children can be deleted if it is a container.
    ContainersDeletedWithChildren,
    /// Ephemerals may have children.
    EphemeralParents,
    /// The end of a znode is not told to watches of its children.
    NoDeletedForChildWatches,
    /// A new znode is not told to watches of its parent's children.
    NoChildEventOnCreate,
    /// Recursive watches reach children only.
    RecursiveIsShallow,
    /// Recursive watches hear of children as well.
    RecursiveHearsChildren,
    /// Events are sent to those who may not read.
    EventsUnfiltered,
    /// A failed multi leaves what came before the failure.
    MultiNotUndone,
    /// A failed multi says of the operations behind the failure that they were fine.
    MultiTailIsFine,
    /// An exists of what is not there leaves no watch.
    ExistsLeavesNoWatch,
    /// A getData of what is not there leaves a watch.
    GetDataLeavesWatch,
    /// Re-registered watches fire whatever their client has seen.
    RelativeZxidIgnored,
    /// getAcl shows digests to all.
    DigestsShown,
    /// Whoever may read may write.
    ReadersWrite,
    /// The count of descendants has the znode itself.
    CountsItself,
    /// The owner of an ephemeral is not told.
    OwnerHidden,
    /// addWatch for persistent watches does not cover children.
    PersistentWithoutChildren,
    /// A refused create names the parent's error as the znode's.
    NoParentIsExists,
}

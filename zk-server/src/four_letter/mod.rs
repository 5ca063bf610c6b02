//! Four-letter words: what operators type into a connection instead of a
//! handshake, answered in Apache 3.9.5's layout and then closed.

mod client;
mod configuration;
mod connections;
mod dump;
mod environment;
mod java_text;
mod monitor;
mod server;
#[cfg(test)]
mod tests;
mod watches;

pub use client::four_letter_word;
#[cfg(feature = "admin")]
pub(crate) use {
    configuration::shown_dir,
    connections::{Answered, interest_ops, reset as reset_connections},
    dump::is_learner,
    environment::entries as environment,
    monitor::{Metric, Value, metrics},
    server::{VERSION, leading, mode},
};

use crate::net::{Serving, Shell};
use crate::storage::DirSizes;
use crate::zookeeper_server::ConnId;

/// A word this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Conf,
    Cons,
    Crst,
    Dirs,
    Dump,
    Envi,
    Gtmk,
    Hash,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
    /// With the mask to set.
    Stmk(i64),
    Wchc,
    Wchp,
    Wchs,
    /// What telnet sends when it is closed. It is known, so that it is refused
    /// politely, and does nothing.
    TelnetClose,
}

/// What a fresh connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    /// More bytes are needed to tell.
    TooFew,
    /// A frame's length word, fit or not.
    Length,
    /// A four-letter word.
    Word(Word),
}

/// Looks at the first bytes of a connection. Only the first four decide, and
/// nothing that follows a word matters, but for `stmk`'s mask.
pub(crate) fn recognise(input: &[u8]) -> FirstBytes {
    let Some((word, rest)) = input.split_first_chunk::<4>() else {
        return FirstBytes::TooFew;
    };
    let word = match word {
        b"conf" => Word::Conf,
        b"cons" => Word::Cons,
        b"crst" => Word::Crst,
        b"dirs" => Word::Dirs,
        b"dump" => Word::Dump,
        b"envi" => Word::Envi,
        b"gtmk" => Word::Gtmk,
        b"hash" => Word::Hash,
        b"isro" => Word::Isro,
        b"mntr" => Word::Mntr,
        b"ruok" => Word::Ruok,
        b"srst" => Word::Srst,
        b"srvr" => Word::Srvr,
        b"stat" => Word::Stat,
        b"stmk" => match rest.first_chunk::<8>() {
            Some(mask) => Word::Stmk(i64::from_be_bytes(*mask)),
            None => return FirstBytes::TooFew,
        },
        b"wchc" => Word::Wchc,
        b"wchp" => Word::Wchp,
        b"wchs" => Word::Wchs,
        [0xff, 0xf4, 0xff, 0xfd] => Word::TelnetClose,
        _ => return FirstBytes::Length,
    };
    FirstBytes::Word(word)
}

/// Whether the answer says how much is stored.
pub(crate) fn shows_sizes(word: Word, shell: &Shell) -> bool {
    let is_about_it = matches!(word, Word::Conf | Word::Dirs);
    is_about_it && shell.config.four_letter_words.allows(word.name())
}

/// The text to write before the connection is closed; `asker` is that connection.
/// `sizes` matter if the word [shows them](shows_sizes).
pub(crate) fn answer(word: Word, asker: ConnId, sizes: DirSizes, shell: &Shell) -> String {
    let mut serving = shell.lock_for("answering a four-letter word");
    serving.stats.packets_received += 1;
    serving.stats.bytes_received += 4;
    if let Some(cnxn) = serving.cnxns.get_mut(asker) {
        cnxn.stats.packets_received += 1;
    }
    let name = word.name();
    let text = if shell.config.four_letter_words.allows(name) {
        tracing::debug!(word = name, "answering four-letter word");
        run(word, asker, sizes, shell, &mut serving)
    } else {
        format!("{name} is not executed because it is not in the whitelist.\n")
    };
    serving.stats.packets_sent += 1;
    text
}

/// What a member answers as long as it serves in no role.
pub(crate) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

fn run(word: Word, asker: ConnId, sizes: DirSizes, shell: &Shell, serving: &mut Serving) -> String {
    if !serving.serves() {
        match word {
            Word::Isro => return "null".to_owned(),
            // About the process.
            Word::Ruok | Word::Envi | Word::Gtmk | Word::Stmk(_) | Word::TelnetClose => {}
            Word::Conf
            | Word::Cons
            | Word::Crst
            | Word::Dirs
            | Word::Dump
            | Word::Hash
            | Word::Mntr
            | Word::Srst
            | Word::Srvr
            | Word::Stat
            | Word::Wchc
            | Word::Wchp
            | Word::Wchs => return format!("{NOT_SERVING}\n"),
        }
    }
    match word {
        Word::Conf => configuration::conf(serving, sizes, shell),
        Word::Cons => connections::cons(serving, asker, shell),
        Word::Crst => connections::crst(serving),
        Word::Dirs => configuration::dirs(sizes),
        Word::Dump => dump::dump(serving, shell),
        Word::Envi => environment::envi(),
        Word::Gtmk => serving.trace_mask.to_string(),
        // No digests of the tree are kept.
        Word::Hash | Word::TelnetClose => String::new(),
        Word::Isro if serving.zks.is_read_only() => "ro".to_owned(),
        Word::Isro => "rw".to_owned(),
        Word::Mntr => monitor::mntr(serving, shell),
        Word::Ruok => "imok".to_owned(),
        Word::Srst => server::srst(serving),
        Word::Srvr => server::srvr(serving),
        Word::Stat => server::stat(serving, asker, shell),
        Word::Stmk(mask) => {
            serving.trace_mask = mask;
            mask.to_string()
        }
        Word::Wchc => watches::wchc(serving),
        Word::Wchp => watches::wchp(serving),
        Word::Wchs => watches::wchs(serving),
    }
}

impl Word {
    /// As the whitelist spells it.
    fn name(self) -> &'static str {
        match self {
            Self::Conf => "conf",
            Self::Cons => "cons",
            Self::Crst => "crst",
            Self::Dirs => "dirs",
            Self::Dump => "dump",
            Self::Envi => "envi",
            Self::Gtmk => "gtmk",
            Self::Hash => "hash",
            Self::Isro => "isro",
            Self::Mntr => "mntr",
            Self::Ruok => "ruok",
            Self::Srst => "srst",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Stmk(_) => "stmk",
            Self::Wchc => "wchc",
            Self::Wchp => "wchp",
            Self::Wchs => "wchs",
            Self::TelnetClose => "telnet close",
        }
    }
}

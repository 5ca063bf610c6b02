use proptest::prelude::*;

use super::*;

fn reason(path: &str) -> Option<PathReason> {
    validate(path).err().map(|error| error.reason)
}

#[test]
fn valid_paths_pass() {
    for path in [
        "/",
        "/a",
        "/a/b",
        "/...",
        "/a.",
        "/.a",
        "/a..b",
        "/ ",
        "/%:",
        "/é",
        "/\u{ffef}",
        "/\u{d7ff}",
    ] {
        assert_eq!(reason(path), None, "{path:?}");
    }
}

#[test]
fn invalid_paths_say_what_is_wrong() {
    let cases = [
        ("", PathReason::Empty),
        ("a", PathReason::NotAbsolute),
        ("a/b", PathReason::NotAbsolute),
        ("/a/", PathReason::TrailingSlash),
        ("//", PathReason::EmptyComponent { at: 1 }),
        ("//a", PathReason::EmptyComponent { at: 1 }),
        ("/a//b", PathReason::EmptyComponent { at: 3 }),
        ("/.", PathReason::Relative { at: 1 }),
        ("/a/../b", PathReason::Relative { at: 3 }),
        (
            "/a\0",
            PathReason::Forbidden {
                character: '\0',
                at: 2,
            },
        ),
        (
            "/\u{1f}",
            PathReason::Forbidden {
                character: '\u{1f}',
                at: 1,
            },
        ),
        (
            "/\u{7f}",
            PathReason::Forbidden {
                character: '\u{7f}',
                at: 1,
            },
        ),
        (
            "/\u{9f}",
            PathReason::Forbidden {
                character: '\u{9f}',
                at: 1,
            },
        ),
        (
            "/\u{e000}",
            PathReason::Forbidden {
                character: '\u{e000}',
                at: 1,
            },
        ),
        (
            "/\u{f8ff}",
            PathReason::Forbidden {
                character: '\u{f8ff}',
                at: 1,
            },
        ),
        (
            "/\u{fff0}",
            PathReason::Forbidden {
                character: '\u{fff0}',
                at: 1,
            },
        ),
        (
            "/\u{1f600}",
            PathReason::Forbidden {
                character: '\u{1f600}',
                at: 1,
            },
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(reason(path), Some(expected), "{path:?}");
    }
}

#[test]
fn a_sequential_path_may_end_with_a_slash() {
    assert!(validate_sequential("/a/").is_ok());
    assert!(validate_sequential("/").is_ok());
    assert!(validate_sequential("/a").is_ok());
    assert!(validate_sequential("/a//").is_err());
    assert!(validate_sequential("//").is_err());
}

#[test]
fn parents_names_and_joins() {
    assert_eq!(
        (parent("/"), parent("/a"), parent("/a/b")),
        (None, Some("/"), Some("/a"))
    );
    assert_eq!((name("/"), name("/a"), name("/a/b")), ("", "a", "b"));
    assert_eq!(
        (join("/", "a"), join("/a", "b")),
        ("/a".into(), "/a/b".into())
    );
    assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
}

#[test]
fn within_goes_by_whole_components() {
    assert!(is_within("/app", "/app") && is_within("/app/x", "/app") && is_within("/x", "/"));
    assert!(!is_within("/apple", "/app") && !is_within("/", "/app"));
}

#[test]
fn sequences_are_signed_and_prefixes_may_end_with_a_dash() {
    assert_eq!(sequence("lock-0000000007"), Some(7));
    assert_eq!(sequence("lock-2147483647"), Some(i32::MAX));
    assert_eq!(sequence("lock--2147483648"), Some(i32::MIN));
    assert_eq!(sequence("0000000007"), Some(7));
    assert_eq!(sequence("lock-7"), None);
    assert_eq!(sequence("é00000000"), None);
}

#[test]
fn a_chroot_maps_there_and_back() {
    let app = Chroot::new("/app").unwrap();
    assert_eq!(app.to_server("/"), "/app");
    assert_eq!(app.to_server("/x"), "/app/x");
    assert_eq!(app.to_client("/app"), Some("/"));
    assert_eq!(app.to_client("/app/x"), Some("/x"));
    assert_eq!(app.to_client("/apple"), None);
    assert_eq!(app.to_client("/zookeeper/config"), None);
    assert_eq!(app.join("/sub").unwrap().as_str(), "/app/sub");
    assert_eq!(app.join("/").unwrap(), app);
    assert_eq!(Chroot::new("/").unwrap(), Chroot::none());
    assert!(Chroot::new("/app/").is_err());
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(path in any::<String>()) {
        let _ = validate(&path);
        let _ = validate_sequential(&path);
        let _ = sequence(&path);
    }

    #[test]
    fn a_valid_path_survives_every_chroot(root in "(/[a-c]{1,3}){1,3}", path in "(/[a-c]{1,3}){1,3}|/") {
        let chroot = Chroot::new(&root).unwrap();
        let server = chroot.to_server(&path);
        prop_assert!(is_within(&server, &root));
        prop_assert_eq!(chroot.to_client(&server), Some(&*path));
    }
}

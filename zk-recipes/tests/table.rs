//! The table of recipes in the crate's documentation is complete.

/// The cells of each row of the table that begins with the column `recipe`.
fn rows() -> Vec<Vec<&'static str>> {
    let docs = include_str!("../src/lib.rs").lines();
    docs.filter_map(|line| line.strip_prefix("//! | "))
        .skip_while(|row| !row.starts_with("recipe |"))
        .map(|row| row.split(" | ").collect())
        .collect()
}

#[test]
fn no_cell_is_blank() {
    let rows = rows();
    let columns = rows[0].len();
    assert_eq!(columns, 9, "{:?}", rows[0]);
    for row in &rows {
        assert_eq!(row.len(), columns, "{row:?}");
        for cell in row {
            let said = cell.trim_end_matches('|').trim();
            assert!(!matches!(said, "" | "-" | "—" | "?"), "{row:?}");
        }
    }
}

#[test]
fn every_recipe_has_a_row() {
    let rows = rows();
    let told: Vec<_> = rows.iter().flat_map(|row| row[0].split(", ")).collect();
    let all = include_str!("../src/lib.rs").split("pub use ").skip(1);
    let exported: Vec<_> = all
        .filter_map(|item| item.split(';').next())
        .flat_map(|item| item.split(|c: char| !c.is_alphanumeric()))
        .collect();
    // What has a builder of its own is a recipe; so are these, which are begun otherwise.
    let built = exported
        .iter()
        .filter_map(|name| name.strip_suffix("Builder"));
    let others = [
        "ReentrantMutex",
        "CachedLong",
        "SharedCount",
        "SharedValue",
        "PersistentTtlNode",
        "PriorityQueue",
        "DelayQueue",
        "IdQueue",
    ];
    for recipe in built.chain(others) {
        assert!(exported.contains(&recipe), "{recipe}");
        assert!(
            told.contains(&&*format!("[`{recipe}`]")),
            "no row for {recipe}"
        );
    }
}

//! What a newcomer sees first: the tour, as a table.

use crate::redact::figures_redacted;
use crate::stage::Stage;

#[test]
fn the_tours_tables() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = ["--quick", "-r", "threads", "-r", "tokio/current-thread", "--out", &out];
    let ended = stage.run(&words).run();
    assert!(matches!(ended.code, Some(0 | 1)), "{}\n{}", ended.stdout, ended.stderr);
    stage.assert_empty();
    insta::assert_snapshot!(figures_redacted(&ended.stdout));
}

//! The console in a browser, as somebody meets it who has just installed the product: the first use
//! with the one-time secret, a calm day, a drill, a plan, a restore and its undo, a failover and the
//! way home. The steps are in `cloud-side/console/scripts/story.mjs`.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{browser::BrowserSite, tool};

#[test]
fn in_a_browser_production_is_protected_drilled_restored_failed_over_and_brought_home()
-> anyhow::Result<()> {
    let site = BrowserSite::up()?;
    // They outlive a story that failed: it is in them that one sees why.
    let program = tool::bcdr()?;
    let beside = program.parent().context("a program lies in a directory")?;
    let said = site.story(&beside.join("console-story"))?;
    // A story that was cut short says less.
    ensure!(
        said.contains("the way home was made in the other language"),
        "the story only said:\n{said}"
    );
    site.down()
}

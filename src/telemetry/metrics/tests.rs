//! Figures are printed as they stand, and those of plans that are gone go, too.

use super::*;

#[test]
fn figures_are_printed_with_their_labels() {
    let metrics = Metrics::new("left");
    metrics.events("alerts", "Logins", Direction::In).inc_by(3);
    metrics.events("alerts", "Logins", Direction::In).inc_by(2);
    metrics.dropped("alerts", "S", "q", "late").inc();
    metrics.dead_letters("alerts", "publisher").inc();
    metrics.held_rows("alerts").set(7);
    metrics.queue_depth("alerts", "inbox").set(4);
    metrics.queue_age("alerts", "store:T").set(1.5);
    metrics.store("S").resting.set(2);
    metrics.store("S").failed("lost");
    metrics.latency("alerts", "Logins").observe(0.002);
    metrics.watermark("alerts", "Logins").lag.set(250);
    metrics.event_clock("alerts").set(9_000);
    metrics.restarts("plans/alerts").inc();
    metrics.plans("running").set(1);
    let text = metrics.print();
    for line in [
        "twinflow_events_total{plan=\"alerts\",stream=\"Logins\",direction=\"in\"} 5",
        "twinflow_dropped_total{plan=\"alerts\",stream=\"S\",query=\"q\",reason=\"late\"} 1",
        "twinflow_dead_letters_total{plan=\"alerts\",reason=\"publisher\"} 1",
        "twinflow_held_rows{plan=\"alerts\"} 7",
        "twinflow_queue_depth{plan=\"alerts\",queue=\"inbox\"} 4",
        "twinflow_queue_age_seconds{plan=\"alerts\",queue=\"store:T\"} 1.5",
        "twinflow_store_connections{store=\"S\",state=\"resting\"} 2",
        "twinflow_store_errors_total{store=\"S\",kind=\"lost\"} 1",
        "twinflow_store_rows_written_total{store=\"S\"} 0",
        "twinflow_latency_seconds_count{plan=\"alerts\",stream=\"Logins\"} 1",
        "twinflow_actor_restarts_total{actor=\"plans/alerts\"} 1",
        "twinflow_watermark_lag_milliseconds{plan=\"alerts\",stream=\"Logins\"} 250",
        "twinflow_event_clock_milliseconds{plan=\"alerts\"} 9000",
        "twinflow_plans{state=\"running\"} 1",
        "# TYPE twinflow_latency_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("twinflow_node{node=\"left\",version="), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_series_of_a_plan_that_is_gone_are_removed_after_a_while() {
    let metrics = Metrics::new("left");
    for plan in ["gone", "back", "stays"] {
        metrics.events(plan, "S", Direction::In).inc();
        metrics.dropped(plan, "S", "q", "late").inc();
        metrics.dead_letters(plan, "publisher").inc();
        metrics.dead_letters_closed(plan, "replayed").inc();
        metrics.dead_letters_kept(plan).set(1);
        metrics.dead_letters_kept_bytes(plan).set(1);
        metrics.held_rows(plan).set(1);
        metrics.queue_depth(plan, "inbox").set(1);
        metrics.queue_age(plan, "store:T").set(1.0);
        metrics.latency(plan, "S").observe(1.0);
        metrics.watermark(plan, "S").waiting.set(1);
        metrics.event_clock(plan).set(1);
        metrics.restarts(&format!("plans/{plan}/core")).inc();
    }
    metrics.let_go("gone");
    metrics.let_go("back");
    metrics.keep("back");
    assert!(metrics.print().contains("\"gone\""), "its last figures can be scraped");
    metrics.0.prune(Duration::ZERO);
    let text = metrics.print();
    assert!(!text.contains("\"gone\"") && !text.contains("plans/gone"), "{text}");
    for plan in ["back", "stays"] {
        let lines = text.lines().filter(|line| line.contains(plan)).count();
        assert!(lines > 7 && text.contains(&format!("plans/{plan}/core")), "{text}");
    }
}

#[test]
fn clones_share_their_figures() {
    let metrics = Metrics::new("left");
    let kept = metrics.clone().queue_depth("a", "inbox");
    kept.inc();
    assert!(metrics.print().contains("twinflow_queue_depth{plan=\"a\",queue=\"inbox\"} 1\n"));
}

#[test]
fn the_manual_lists_every_figure() {
    let metrics = Metrics::new("left");
    // A family without figures is not printed.
    metrics.snapshot_pause("p").set(0.5);
    metrics.store("S").failed("lost");
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let text = metrics.print();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names: Vec<String> = kinds
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.into() })
        .collect();
    assert!(names.iter().any(|name| name == "twinflow_snapshot_pause_seconds"), "{text}");
    for name in names {
        assert!(manual.contains(&format!("| `{name}` |")), "docs/metrics.md lacks {name}");
    }
}

//! Tests of the whole command with real adapters, called as users and scripts call it.
//!
//! All tests are one program, so that it is linked once and the adapters are built once. No test
//! asserts how long something took, because the machine may be busy.
//!
//! This file lists the tests, because the standard test runner cannot count a test that skips
//! itself while it runs, when the machine lacks something. A test that is missing in the list is
//! unused code, which clippy reports.
#![allow(clippy::unwrap_used)] // all of it is tests

mod command;
mod redact;
mod scattered;
mod skip;
mod stage;

mod attacks;
mod backends;
mod check;
mod claims;
mod clients;
mod drive;
mod duel;
mod evidence;
mod exit_codes;
mod faults;
mod files;
mod foreign_connections;
mod formats;
mod hostile_text;
mod interruption;
mod killed_subjects;
mod large_inputs;
mod libraries;
mod lists;
mod load;
mod machine;
mod options;
mod order;
mod own_adapter;
mod resuming;
mod selftest;
mod sharing;
mod slow_disk;
mod subjects;
mod threads;
mod tour;
mod turns;
mod variants;
mod versions;
mod warm_start;
mod ways;
mod workers;

use std::panic::catch_unwind;

use libtest_mimic::{Arguments, Completion, Trial};

fn main() {
    command::accept_signals();
    if std::env::args().nth(1).as_deref() == Some(attacks::KILL_BY_FILTER) {
        attacks::exec_under_a_killing_filter();
    }
    /// `module: test, test;` declares the tests `module::test`.
    macro_rules! tests {
        ($($module:ident: $($test:ident),+;)+) => {
            vec![$($(
                Trial::ignorable_test(
                    concat!(stringify!($module), "::", stringify!($test)),
                    || Ok(twice_at_most($module::$test)),
                ),
            )+)+]
        };
    }
    let tests = tests! {
        attacks: by_surroundings, by_libraries, by_results_folders, by_options, by_large_inputs;
        backends: a_pool_limits_the_queries_at_once;
        check: every_check_has_an_answer_on_each_kind_of_executor, a_hang_and_an_early_end_are_answers, moving_shows_only_what_changes, operations_are_in_their_quadrants, known_failures_do_not_count_until_they_expire, our_list_of_known_failures_holds_and_explains, a_scenario_may_demand_behaviours;
        claims: only_undecided_subjects_get_more_trials;
        clients: each_group_of_clients_has_its_own_figures;
        drive: any_server_that_echoes_can_be_driven, wrong_answers_and_other_machines_are_refused, a_delay_between_two_networks_shows;
        duel: three_subjects_take_turns_with_or_without_load, tables_name_each_subject_and_the_ratios_base, ambiguous_subjects_and_unsuitable_scenarios_are_refused, a_wrong_answer_or_crash_gives_no_ratio, an_interrupted_duel_leaves_no_frozen_process, a_killed_duel_leaves_no_frozen_process;
        evidence: every_subject_uses_the_backend_it_names, without_io_uring_silent_fallbacks_are_reported, a_backend_with_ring_reads_files_through_it, a_pool_replacing_the_ring_is_reported, a_false_backend_claim_is_detected;
        exit_codes: zero_means_success, one_means_an_unmet_expectation, a_claim_that_does_not_hold_is_an_answer, two_means_wrong_usage_or_a_wrong_scenario, duplicate_names_are_refused_and_links_not_followed, an_expectation_without_subjects_is_only_a_warning, four_means_that_nothing_was_run, existing_results_are_never_overwritten, an_impossible_results_folder_is_an_error;
        faults: every_fault_becomes_a_record_with_a_reason, every_fault_of_the_adapter_is_tested, stalls_of_the_faulty_subject_are_counted, only_a_trial_that_slows_down_is_reported, a_table_shows_reasons_in_place_of_figures;
        files: pool_reads_of_a_big_file_seldom_stall, cold_reads_are_cold_or_warned_of, written_files_hold_what_was_written;
        foreign_connections: foreign_connections_are_not_served, connections_during_the_window_are_reported;
        formats: json_and_jsonl_hold_the_records, csv_rows_have_as_many_fields_as_headings, markdown_has_a_table_for_each_case, colours_need_a_terminal_or_an_option, a_closed_standard_output_causes_no_panic, a_numeric_axis_gets_a_crossover_sentence, the_values_of_an_axis_become_rows, scattered_records_give_the_same_report;
        hostile_text: none_reaches_the_terminal, long_ones_are_refused;
        interruption: an_interrupted_build_leaves_no_compiler, an_interrupted_list_has_its_exit_code, an_interrupted_run_keeps_records_and_can_resume, an_interrupted_resume_keeps_its_records, changed_scenarios_cannot_be_resumed, a_run_under_way_cannot_be_resumed, nothing_is_added_to_damaged_records, without_any_record_json_is_an_empty_array, a_harness_that_is_killed_takes_all_with_it_and_leaves_no_file, a_changed_file_makes_the_trial_unmeasured;
        killed_subjects: a_killed_subject_crashes_and_leaves_nothing, a_subject_that_cannot_be_killed_is_left, ignored_ends_of_children_are_seen, the_load_until_a_subjects_death_is_kept;
        libraries: the_memory_limit_holds_for_all_processes_together, what_a_library_leaves_behind_is_ended, packages_with_tests_are_default_members, each_unusable_library_is_reported_with_its_reason, a_hanging_adapter_can_be_interrupted, build_failures_are_reported_with_the_compilers_error, a_folder_without_adapters_is_an_error, given_folders_stand_beside_the_built_adapters, a_copied_checkout_uses_its_own_files, a_library_that_changes_is_not_measured;
        lists: subjects_are_listed_with_capabilities_or_a_reason, patterns_without_a_match_are_warned_of, repeated_axes_and_unknown_values_are_errors, specs_are_listed_with_their_questions, cells_that_do_not_run_have_a_reason, the_default_format_of_lists_is_a_table, ten_thousand_cells_are_listed;
        load: a_ceiling_is_measured_only_for_a_rate, a_rate_above_the_drivers_ceiling_is_refused, a_missed_rate_is_reported_with_both_figures;
        machine: memory_does_not_grow_with_more_cells, a_full_disk_loses_no_written_record, a_disk_full_at_the_start_leaves_no_folder, a_full_temporary_folder_gives_reason_and_remedy, an_unwritable_default_folder_gives_reason_and_remedy, an_empty_tmpdir_is_no_folder, an_unprivileged_user_can_run_it, an_unprivileged_tour_names_its_methods, read_only_cgroups_fall_back_to_sampling, too_few_threads_give_reason_and_remedy, too_few_open_files_give_reason_and_remedy, an_unusable_temporary_folder_is_reported, too_little_locked_memory_gives_reason_and_remedy, forbidden_affinity_leaves_trials_unmeasured, a_missing_loopback_leaves_trials_unmeasured;
        options: an_option_takes_effect_in_its_own_subject, options_of_a_scheduler_decide_over_forced_waits, options_change_what_they_name, threads_have_the_stack_they_ask_for, options_are_listed_with_values_and_default, impossible_options_are_refused_with_a_hint, checks_and_duels_name_the_option;
        order: a_seed_reproduces_the_order_of_trials;
        own_adapter: the_adapter_of_the_page_builds_and_runs, typical_mistakes_give_one_clear_error_each;
        redact: numbers_become_marks;
        resuming: unmeasured_trials_are_repeated_and_no_others, a_subject_that_failed_in_turns_is_not_repeated, a_relative_spec_is_found_from_another_folder, a_results_folder_removed_in_mid_run_is_an_error;
        selftest: every_row_has_a_figure_or_a_reason, a_wrong_clock_and_claim_are_detected, an_interruption_leaves_nothing_behind, a_watcher_records_its_own_standstill, unknown_subjects_parts_and_formats_are_errors;
        sharing: tasks_wait_for_each_other_in_the_runtimes_own_way, forced_waits_end_only_where_something_completes_them, cancelled_work_is_counted_and_gone;
        slow_disk: reads_together_wait_once, a_killed_harness_leaves_no_mount, without_fuse_the_case_is_unsupported;
        subjects: every_subject_has_a_record_of_every_case, a_subject_runs_exactly_what_it_claims, fixed_work_is_done_exactly, figures_are_consistent, operations_in_flight_match_the_scenario, sleeps_and_ticks_are_never_too_early, tasks_beside_requests_are_counted_too, stall_time_never_exceeds_the_loops_time, every_loop_is_metered, threads_and_loops_match_the_executor;
        threads: two_thousand_threads_are_counted_exactly, as_many_workers_run_tasks_as_asked, short_lived_threads_are_counted_or_sampled;
        tour: the_tour_prints_its_tables;
        turns: each_start_runs_all_subjects_in_new_layouts, sleeping_tasks_get_more_trials_instead_of_turns, reading_files_touches_no_new_pages, an_interrupted_pass_in_turns_can_resume;
        variants: variants_run_only_if_asked_for, the_command_line_narrows_a_scenarios_subjects, a_run_uses_its_scenarios_subjects, prebuilt_variants_are_recognized_by_file_name, a_variants_flags_add_to_the_users, only_selected_variants_are_built_each_by_itself;
        versions: a_folder_replaces_a_crate_of_the_adapter, git_bisect_finds_the_commit_that_is_worse, a_version_comes_from_the_registry, wrong_versions_are_refused_before_anything_is_built;
        warm_start: cargo_runs_exactly_when_something_has_changed;
        ways: each_way_of_each_step_is_right;
        workers: cases_have_the_workers_they_ask_for, the_command_line_overrides_with_a_warning;
    };
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}

/// Most tests measure, and a busy machine may disturb them: what fails is run once more. A mistake fails
/// twice. What failed first is printed in any case. Snapshots need names for it: unnamed ones are
/// counted.
fn twice_at_most(test: fn()) -> Completion {
    catch_unwind(|| skip::run(test)).unwrap_or_else(|_| {
        eprintln!("a test has failed, and is run a second time");
        skip::run(test)
    })
}

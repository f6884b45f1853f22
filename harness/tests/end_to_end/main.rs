//! The whole command with real adapters, called as people and scripts call it.
//!
//! One program for all of it, so that it is linked once and the adapters are built once. No test
//! asserts how long something took, because machines are busy.
//!
//! It has its own list of tests because the standard test runner cannot count a test that finds out,
//! while it runs, that the machine lacks what it needs. A test that is missing in the list is unused
//! code, which clippy reports.
#![allow(clippy::unwrap_used)] // all of it is tests

mod command;
mod redact;
mod skip;
mod stage;

mod duel;
mod evidence;
mod exit_codes;
mod faults;
mod files;
mod formats;
mod interruption;
mod libraries;
mod lists;
mod load;
mod machine;
mod order;
mod own_adapter;
mod selftest;
mod strangers;
mod subjects;
mod sudden_death;
mod threads;
mod tour;
mod turns;
mod variants;
mod warm_start;
mod workers;

use libtest_mimic::{Arguments, Trial};

fn main() {
    /// `module: test, test;` becomes a test named `module::test` for each.
    macro_rules! tests {
        ($($module:ident: $($test:ident),+;)+) => {
            vec![$($(
                Trial::ignorable_test(
                    concat!(stringify!($module), "::", stringify!($test)),
                    || Ok(skip::run($module::$test)),
                ),
            )+)+]
        };
    }
    let tests = tests! {
        duel: three_subjects_take_turns_with_and_without_a_load, tables_name_everyone_and_say_what_the_ratios_are_to, who_cannot_be_told_and_what_cannot_be_fought_is_said_in_a_sentence, a_wrong_answer_or_a_crash_leaves_no_ratio, an_interrupted_duel_leaves_nobody_frozen_behind, a_killed_duel_takes_the_frozen_along;
        evidence: every_subject_uses_the_backend_that_it_names, without_io_uring_nobody_panics_and_a_silent_fallback_is_told, whoever_names_a_ring_beside_its_backend_reads_files_through_it, files_that_a_pool_reads_in_the_place_of_a_ring_are_told, a_subject_that_lies_about_its_backend_is_found_out;
        exit_codes: zero_is_all_well, one_is_an_expectation_that_was_not_met, two_is_a_mistake_on_the_command_line_or_in_a_scenario, scenarios_of_one_name_are_not_mixed_and_links_lead_nowhere, an_expectation_of_nobody_is_told_and_is_no_mistake, four_is_that_nothing_was_run, results_are_never_written_over_others, a_results_folder_that_cannot_be_is_told;
        faults: every_fault_is_a_record_with_a_reason_and_harms_nobody_else, every_fault_there_is_has_its_test, stalls_are_seen_where_they_are_and_nowhere_else, a_trial_that_slows_down_half_way_is_told_and_one_that_does_not_is_not, a_table_tells_the_reason_in_the_place_of_figures;
        files: a_big_file_read_on_a_pool_seldom_stalls_the_loop, cold_reads_are_cold_and_the_others_are_told;
        formats: json_and_its_lines_are_the_records, csv_has_a_heading_and_as_many_fields_in_every_row, markdown_has_a_table_for_each_case, colours_are_for_terminals_and_for_who_asks, who_reads_only_the_beginning_gets_no_panic, along_an_axis_of_numbers_backends_are_told_apart_in_words;
        interruption: an_interrupted_run_keeps_its_records_and_goes_on_where_it_was, a_second_interruption_while_resuming_keeps_all_the_same, a_run_whose_scenario_has_changed_is_not_gone_on_with, a_run_that_is_still_going_on_is_nobody_elses, nothing_is_added_to_damaged_records, interrupted_before_the_first_record_it_is_still_a_json_array, a_harness_that_is_killed_takes_all_with_it_and_leaves_no_file, a_file_that_was_changed_is_no_wrong_answer_of_the_subject;
        libraries: packages_with_tests_are_default_members, a_library_that_is_no_adapter_is_told_and_leaves_the_others_alone, an_adapter_that_hangs_when_asked_can_be_interrupted, an_adapter_that_does_not_build_is_left_out_in_the_compilers_words, a_folder_without_adapters_is_told;
        lists: subjects_are_listed_with_what_they_can_and_why_they_cannot, a_pattern_that_means_nobody_is_told_beside_those_that_mean_somebody, an_axis_is_named_once_and_its_values_in_their_order, specs_are_listed_with_their_questions, cells_tell_what_runs_and_why_the_rest_does_not, a_list_is_a_table_for_people, ten_thousand_cells_are_listed;
        load: a_ceiling_is_measured_only_for_a_rate, a_rate_that_no_driver_can_send_is_refused, a_rate_that_is_not_kept_is_told_with_both_figures;
        machine: memory_does_not_grow_with_the_number_of_cells, a_full_disk_keeps_what_was_written_and_tells_how_to_go_on, a_user_without_rights_can_run_it, without_any_right_all_runs_and_names_how_it_was_measured, control_groups_that_are_read_only_leave_sampling, too_few_threads_are_a_reason_with_its_remedy, too_few_open_files_are_a_reason_with_its_remedy, a_folder_for_temporary_files_that_is_of_no_use_is_told, too_little_locked_memory_is_a_reason_with_its_remedy, forbidden_cpus_are_the_machines_fault, a_missing_loopback_interface_is_the_machines_fault;
        order: a_seed_brings_its_order_back_and_subjects_take_turns;
        own_adapter: the_adapter_of_the_six_steps_is_built_and_runs, typical_mistakes_are_told_in_a_sentence;
        redact: numbers_become_marks;
        selftest: every_number_is_held_against_a_truth, a_wrong_clock_and_a_lie_are_found_out, an_interruption_leaves_nothing_behind, a_watcher_notes_that_it_stood_still, what_cannot_be_tested_is_said;
        strangers: strangers_are_not_served_and_do_no_harm;
        subjects: every_subject_has_a_record_of_every_case, a_subject_runs_what_it_claims_and_says_why_it_does_not_run_the_rest, work_of_a_fixed_amount_is_done_exactly, figures_are_sound, as_much_is_in_flight_as_was_asked_for, tasks_wait_no_shorter_than_told_and_tick_no_more_often, what_runs_beside_the_requests_is_counted_as_well, loops_stand_still_no_longer_than_there_is_time, every_loop_is_metered, threads_and_loops_are_what_the_executor_has;
        sudden_death: a_subject_that_is_killed_at_any_moment_is_a_crash_and_leaves_nothing;
        threads: two_thousand_threads_at_once_are_two_thousand, as_many_workers_run_tasks_as_were_told_to, threads_that_live_for_no_time_are_counted_or_the_method_says_that_they_may_not_be;
        tour: the_tours_tables;
        turns: every_start_has_all_subjects_and_the_reference_and_a_layout_of_its_own, what_goes_on_while_a_subject_is_frozen_is_measured_by_more_trials, reading_files_touches_no_new_pages_whatever_the_layout, an_interrupted_pass_goes_on_where_it_was;
        variants: a_variant_is_for_those_who_ask_for_it, a_scenario_may_ask_for_variants_and_the_command_line_narrows_it, a_run_asks_whom_its_scenario_is_about, prebuilt_variants_are_told_by_their_files_names, a_variant_is_built_with_its_flags_and_the_users, a_broken_variant_leaves_the_others_alone_and_only_what_may_be_wanted_is_built;
        warm_start: cargo_is_asked_only_when_something_has_changed_and_then_always;
        workers: every_case_has_the_workers_that_it_asks_for_as_far_as_an_executor_can, the_command_line_goes_first_and_says_so;
    };
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}

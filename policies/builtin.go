package policies

import (
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// builtinAllows reports whether a pair needs no rule, for whoever has any allow on the target; masked
// says that masks of the target apply to them.
func builtinAllows(command string, p Pair, masked bool) bool {
	switch p.Effect {
	case policyv1.Effect_TRANSACTION:
		return true
	case policyv1.Effect_NOTIFY:
		return command == "UNLISTEN"
	case policyv1.Effect_LOCK:
		return strings.HasPrefix(p.Object, "pg_catalog.pg_advisory_unlock") // gives up what the session has itself
	case policyv1.Effect_SESSION:
		if p.Shows {
			return !masked // what an application keeps in a setting may be a secret
		}
		_, ok := safeSettings[strings.ToLower(p.Object)]
		return ok || command == "RESET" && p.Object == "all"
	case policyv1.Effect_READ:
		schema, name, _ := strings.Cut(p.Object, ".")
		switch schema {
		case "pg_catalog":
			_, ok := harmlessCatalogs[name]
			return ok
		case "information_schema":
			_, shown := revealingInformation[name]
			return !shown
		}
	}
	return false
}

// mustBeNamed reports whether only a rule that names the object without a wildcard can allow the pair: what shows
// data, secrets or files past any mask, or runs text as SQL.
func mustBeNamed(p Pair) bool {
	schema, name, found := strings.Cut(p.Object, ".")
	if !found {
		name = schema // not known to the catalog
	}
	switch p.Effect {
	case policyv1.Effect_EXECUTE:
		// A pure function of pg_catalog makes no pair, so what comes here acts or shows.
		return schema == "pg_catalog" || strings.HasPrefix(name, "dblink")
	case policyv1.Effect_READ:
		switch schema {
		case "pg_catalog", "pg_toast":
			_, harmless := harmlessCatalogs[name]
			return !harmless
		case "information_schema":
			_, shown := revealingInformation[name]
			return shown
		}
	case policyv1.Effect_IO:
		return true
	case policyv1.Effect_SESSION:
		return p.Shows
	}
	return false
}

func set(names string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, n := range strings.Fields(names) {
		out[n] = struct{}{}
	}
	return out
}

// safeSettings change how a session is formatted, planned or timed, not what it may see. search_path is not among
// them: names are resolved by it.
var safeSettings = set(`
	application_name client_encoding client_min_messages datestyle intervalstyle timezone extra_float_digits
	bytea_output xmlbinary xmloption standard_conforming_strings escape_string_warning backslash_quote
	statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
	tcp_user_timeout client_connection_check_interval
	default_transaction_isolation default_transaction_read_only default_transaction_deferrable
	transaction_isolation transaction_read_only transaction_deferrable synchronous_commit
	row_security synchronize_seqscans quote_all_identifiers check_function_bodies
	work_mem maintenance_work_mem temp_buffers effective_cache_size effective_io_concurrency
	max_parallel_workers max_parallel_workers_per_gather parallel_setup_cost parallel_tuple_cost
	random_page_cost seq_page_cost cpu_tuple_cost cpu_index_tuple_cost cpu_operator_cost
	cursor_tuple_fraction constraint_exclusion default_statistics_target from_collapse_limit join_collapse_limit
	geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
	jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost plan_cache_mode
	enable_async_append enable_bitmapscan enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin
	enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin
	enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
	enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort enable_tidscan
	gin_fuzzy_search_limit array_nulls lc_monetary lc_numeric lc_time
	session_characteristics
`)

// harmlessCatalogs describe the database and hold none of its data (PostgreSQL, chapter "System Catalogs"). Not among
// them: statistics (they hold values), passwords, options of foreign data (they hold passwords), files, large objects,
// what other sessions run.
var harmlessCatalogs = set(`
	pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extensions
	pg_available_extension_versions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_cursors pg_database
	pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension
	pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language pg_largeobject_metadata
	pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table
	pg_policies pg_policy pg_prepared_statements pg_proc pg_publication pg_publication_namespace pg_publication_rel
	pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences
	pg_settings pg_shdepend pg_shdescription pg_statistic_ext pg_stat_all_indexes pg_stat_all_tables
	pg_stat_database pg_stat_sys_indexes pg_stat_sys_tables pg_stat_user_indexes pg_stat_user_tables
	pg_statio_all_indexes pg_statio_all_sequences pg_statio_all_tables pg_statio_user_indexes
	pg_statio_user_sequences pg_statio_user_tables pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names
	pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user
	pg_views
`)

// revealingInformation are the views of information_schema that can show stored passwords.
var revealingInformation = set(`user_mapping_options _pg_user_mappings foreign_server_options
	_pg_foreign_servers foreign_table_options _pg_foreign_tables foreign_data_wrapper_options
	_pg_foreign_data_wrappers column_options _pg_foreign_table_columns`)

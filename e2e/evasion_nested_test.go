package e2e

// nestedWays call a function within an expression: what stands around it tells of its result by an error, by NULL, by
// the number or the order of rows, or by what it changes, although the result itself is masked.
func nestedWays() []evasion {
	const f = "customer_password(1)"
	var out []evasion
	for _, x := range [][2]string{
		{"NULL if guessed", "nullif(" + f + ", 'secret-password-1')"},
		{"CASE", "case when " + f + " like 's%' then 'x' end"},
		{"an error if guessed", "1 / (case when " + f + " like 's%' then 0 else 1 end)"},
		{"a cast that fails if guessed", "(case when " + f + " like 's%' then 'x' else '1' end)::int"},
		{"as many rows as a letter's code", "generate_series(1, ascii(" + f + "))"},
		{"an unnest", "unnest(string_to_array(" + f + ", 's'))"},
		{"a regular expression's matches", "regexp_matches(" + f + ", 's', 'g')"},
		{"a split", "regexp_split_to_table(" + f + ", 'e')"},
		{"a division", "1000 / (ascii(" + f + ") - 104)"},
		{"an array's element", "(array['a', 'b'])[ascii(" + f + ") - 114]"},
	} {
		out = append(out, way("function: "+x[0], "select "+x[1]))
	}
	return append(
		out,
		way("function: a window", "select id, row_number() over (order by customer_password(id)) from work where id < 4"),
		way("function: a window within an expression", "select id, 1 + rank() over (partition by left(customer_password(id), 1) order by right(customer_password(id), 1)) from work where id < 40"),
		evasion{claim: "function: a setting, then read", steps: []string{"select set_config('my.y', customer_password(1), false)", "select current_setting('my.y')"}},
		evasion{claim: "function: the application's name", steps: []string{"select set_config('application_name', customer_password(1), false)"}},
		evasion{claim: "function: a sequence set to a letter's code", steps: []string{"create sequence seq3", "select setval('seq3', ascii(customer_password(1)))", "select last_value from seq3"}},
		evasion{claim: "function: an advisory lock", steps: []string{"select pg_advisory_lock(ascii(customer_password(1)))", "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"}},
		way("function: RETURNING an error if guessed", "update work set note = note where id = 905 returning 1 / (case when customer_password(1) like 's%' then 0 else 1 end)"),
		way("function: RETURNING NULL if guessed", "update work set note = note where id = 905 returning nullif(customer_password(1), 'secret-password-1')"),
		way("function: query_to_xml fails if guessed", "select query_to_xml('select 1 / (case when (select password from customers where id = 1) like ''s%'' then 0 else 1 end)', true, true, '')"),
		way("error: a code made of the value", "select raises(upper(replace(substr(customer_password(1), 1, 5), '-', '0')))"),
	)
}

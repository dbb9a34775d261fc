// Package source makes a policy bundle out of a directory of YAML files, and watches the directory.
//
//	*.yaml, *.yml ─▶ read ─▶ tree (duplicates, aliases, nulls) ─▶ protoyaml ─▶ merge ─▶ policies.Compile
//	                                     └────────── every fault with file:line:column ──────────┘
//
// It owns which files count, how they are put together, the bundle's version, and where in which file a fault is. It
// refuses to know what a rule means (policies), and who is served (xds). Files named by data sources are not opened:
// their paths stay as written, relative to the policy directory.
package source

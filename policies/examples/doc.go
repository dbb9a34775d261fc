// Package examples holds policies that people read, copy and run: the files that documentation and demo show.
//
// demo/ is the policy of the demo: the issuer is the development IdP, the target a PostgreSQL on
// loopback whose addresses the demo replaces by its own. teams/ is a policy of two targets and two issuers, cut into
// one file for each team. http/ is a policy of two HTTP APIs behind one listener. The package owns the files and the tests that load each of them and hold it to what its
// comments say; it has no code.
package examples

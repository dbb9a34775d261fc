// Package pgmodel is a model of a PostgreSQL backend at the level of messages: what it answers to any sequence of them,
// when it sends that, what it ignores and when it gives up. It follows the protocol chapter and postgres.c; a test in e2e
// runs it and the real server on the same random conversations.
//
//	frontend's bytes ──▶ Feed ──▶ Take: what the backend has flushed
//
// With a Censor it is the ideal of a guarded server: the answers that PostgreSQL itself would give if what is refused
// were an error of its own, and rows were hidden before they leave. Tests hold the engine, and whole sessions, against that.
//
// It owns a dozen statements over three tables (Fixture), each real SQL. It refuses to know SQL beyond them, data that
// changes, cancels, COPY from files, encodings and every option of the protocol that agents of Sluice cannot use.
package pgmodel

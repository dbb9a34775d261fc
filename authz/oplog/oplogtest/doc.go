// Package oplogtest is a Log whose lines and counts tests can read.
package oplogtest

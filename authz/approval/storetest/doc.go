// Package storetest is the suite that every driver of approval.Store passes: on miniredis in unit tests, on a real
// server in e2e. It owns what the interface promises, and knows no driver.
package storetest

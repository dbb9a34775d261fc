//go:build race

package jsonmask

// raced: the race detector makes this some twenty times slower.
const raced = true

//go:build !race

package jsonmask

const raced = false

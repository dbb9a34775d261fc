// Package httppath reads the path of an HTTP request and matches it against templates. It owns which paths are
// refused: those that a server behind Envoy may read in another way than Sluice does. It refuses to know methods,
// hosts and rules.
package httppath

// Package jsonpath reads JSONPath queries (RFC 9535), as far as a document that flows by can be matched, and matches
// many of them at once by one automaton.
//
// It refuses to know JSON's syntax: the caller walks the document and says which member or element it enters. It refuses
// to know what is done with a match.
package jsonpath

// Package jsonmask hides values in bodies that flow by: JSON, JSON by lines, server-sent events, and plain text.
//
//	src ─▶ input ─▶ jsontext ─▶ walker ─▶ a lane for each View ─▶ Output.Write
//
// A View says what one principal must not see: values named by paths, and what a finder finds in strings, names and
// numbers. What is not hidden leaves byte for byte as it came. What cannot be read is an *Error, and nothing of it is
// written. Memory is one token and a fixed window, however long the body is.
//
// Documents in strings are read by a walker of their own, three deep: what it hides are patches of the string's text, which
// are laid over the string as it came.
//
// It refuses to know HTTP, compression and character sets other than UTF-8, who the principal is, and what a secret
// looks like.
package jsonmask

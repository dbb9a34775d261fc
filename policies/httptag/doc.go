// Package httptag stands in for the entity tags (RFC 9110, 8.8.3) of answers that masks apply to. A service's own tag is often
// a digest of what it tells: whoever may not see that could guess it, and ask whether the guess is right. What agents get in
// its place is the tag sealed under a key, for one principal, mask set and resource; only what was sealed so is let back.
// It refuses to know masks and principals.
package httptag

// Package rotate reads files again when they change: certificates, keys and authorities that are renewed while
// connections live.
//
// It owns when files are looked at, that the last good content stays while new files cannot be used, and that each
// rotation, failed or done, is one log line. It refuses to know what the files mean.
package rotate

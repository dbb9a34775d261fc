// Package share divides what all principals need among them: memory, connections, calls. Nobody has more than a share, and from
// half of all on those with little go on for longer than those with much.
package share

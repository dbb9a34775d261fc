// Package cli is the client of Sluice's API as the command uses it: how it is reached, how a caller shows who they are,
// and how answers are printed.
//
// It refuses to know what a server does with a call.
package cli

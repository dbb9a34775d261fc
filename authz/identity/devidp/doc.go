// Package devidp is an OpenID Connect provider for development and the demo: discovery, keys, and the
// client_credentials grant, on zitadel/oidc's op.
//
// It owns its people, their secrets and its signing keys. It refuses to be more than that: there is no login, every
// person is a client whose secret stands in a file, and CheckAddress refuses addresses that others can reach.
package devidp

// Package service is the demo's HTTP API: the customers of the demo's database as JSON, with their secrets. It knows
// nothing of Sluice; who shows its token may do all.
package service

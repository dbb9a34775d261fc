// Package indextest is the suite that each driver of the index passes. It refuses to know any driver.
package indextest

// Package httploose is how lenient services read names and values: without case, without what frameworks take off. Rules
// that deny or ask for approval, and checks that refuse, go by it; rules that allow never do. It refuses to know rules.
package httploose

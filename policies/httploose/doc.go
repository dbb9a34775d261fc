// Package httploose is how lenient services read names, values and media types: without case, without what frameworks take
// off, as a form or in letters where some service does. Rules that deny or ask for approval, and checks that refuse, go by
// it; rules that allow never do. It refuses to know rules.
package httploose

// Package credname knows names under which HTTP carries credentials: of headers, cookies and query keys.
//
// It owns the list, and how a value is taken out of a header or a path so that the rest stays byte for byte. It refuses
// to know what values look like (policies/detect) and what a policy masks (policies/httpmask): what stands under these
// names is hidden at rest whether or not a mask names it.
package credname

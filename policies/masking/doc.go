// Package masking says which output columns of a statement are hidden and hides them: in rows, in COPY data, as text
// and binary.
//
// A View is how one principal sees one database: the masks that apply, laid over a catalog. It decides by origin
// (OID and attribute number), never by a column's name in a result, and what it does not know it masks. It refuses to
// know protocols' messages beyond the layout of a row, who the principal is, and where a catalog comes from.
package masking

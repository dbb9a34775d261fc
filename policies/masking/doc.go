// Package masking says which output columns of a statement are hidden and hides them: in rows, in COPY data, as text
// and binary; and what a record has of the data that a COPY brings in.
//
// A View is how one principal sees one database: the masks that apply, laid over a catalog. It decides by origin
// (OID and attribute number), never by a column's name in a result, and what it does not know it masks. It refuses to
// know protocols' messages beyond the layout of a row, who the principal is, and where a catalog comes from.
//
// Masks with detectors search instead: they hide what is found in the texts of the columns that they name and of what
// may be computed of them, or of all, whatever the format. A search refuses nothing and hides no value for its origin:
// it is a help, not a proof. Where a mask hides the column, that wins.
package masking

package masking

// form is how a value of a type is laid out, as far as a search must know.
type form struct {
	layout layout
	// element is how the elements of an array are laid out.
	element layout
}

type layout uint8

const (
	notSearched layout = iota
	plainText
	xmlText
	jsonText
	jsonBinary // the version, then JSON
	array
	arrayBinary
	// A type that is not PostgreSQL's own, or is not known: any text, and in binary what can be nothing else.
	open
	openBinary
)

const (
	// jsonbVersion begins jsonb in binary (PostgreSQL, src/backend/utils/adt/jsonb.c, jsonb_send).
	jsonbVersion = 1
	// firstUserOID is where the OIDs begin of what is not PostgreSQL's own (PostgreSQL, "System Catalog Initial Data",
	// FirstNormalObjectId).
	firstUserOID = 16384
)

// formOf says how to read a type by its OID (pg_type.dat); 0 is one that is not known.
func formOf(oid uint32, binary bool) form {
	if element := elementOf(oid); element != 0 {
		f := form{layout: array, element: layoutOf(element, binary)}
		if binary {
			f.layout = arrayBinary
		}
		return f
	}
	return form{layout: layoutOf(oid, binary)}
}

// elementOf is the type of an array's elements, 0 if the type is none whose elements are searched.
func elementOf(oid uint32) uint32 {
	switch oid {
	case 1009, 1015, 1014, 1003: // of text, varchar, bpchar, name
		return 25
	case 143:
		return 142
	case 199:
		return 114
	case 3807:
		return 3802
	}
	return 0
}

func layoutOf(oid uint32, binary bool) layout {
	switch {
	case isText(oid):
		return plainText
	case oid == 142:
		return xmlText
	case oid == 114:
		return jsonText
	case oid == 3802 && binary:
		return jsonBinary
	case oid == 3802:
		return jsonText
	case oid != 0 && oid != 2249 && oid < firstUserOID: // 2249 is record, which a row of any columns is
		return notSearched
	case binary:
		return openBinary
	}
	return open
}

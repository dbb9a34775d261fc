package cli

// MaxPage is the largest page that the API gives.
const MaxPage = 1000

// Pages reads a list page by page, up to limit entries. page reads the one that a token names, empty for the first, and
// gives the token of the next, empty at the end.
func Pages[T any](limit uint32, page func(token string) (entries []T, next string, err error)) ([]T, error) {
	var all []T
	for token := ""; len(all) < int(limit); {
		entries, next, err := page(token)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if token = next; token == "" {
			break
		}
	}
	return all[:min(len(all), int(limit))], nil
}

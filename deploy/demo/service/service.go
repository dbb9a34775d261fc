package service

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Service serves the API.
type Service struct {
	pool   *pgxpool.Pool
	token  string
	routes *http.ServeMux
}

// New connects to the database at the first need. Close it.
func New(ctx context.Context, conninfo, token string) (*Service, error) {
	pool, err := pgxpool.New(ctx, conninfo)
	if err != nil {
		return nil, err
	}
	s := &Service{pool: pool, token: token, routes: http.NewServeMux()}
	s.routes.HandleFunc("GET /customers", s.list)
	s.routes.HandleFunc("GET /customers/{id}", s.get)
	s.routes.HandleFunc("DELETE /customers/{id}", s.remove)
	s.routes.HandleFunc("GET /events", s.events)
	s.routes.HandleFunc("GET /export", s.export)
	s.routes.HandleFunc("/echo", s.echo)
	return s, nil
}

// Close lets go of the database.
func (s *Service) Close() { s.pool.Close() }

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Bearer " + s.token
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
		write(w, http.StatusUnauthorized, map[string]string{"error": "the API's token is needed"})
		return
	}
	s.routes.ServeHTTP(w, r)
}

// customer is a row of the table.
type customer struct {
	ID       int             `json:"id"`
	Name     string          `json:"name"`
	Email    string          `json:"email"`
	Phone    *string         `json:"phone"`
	Password string          `json:"password"`
	APIKey   string          `json:"api_key"`
	Note     json.RawMessage `json:"note"`
}

const columns = "id, name, email, phone, password, api_key, note"

func (s *Service) customers(ctx context.Context, limit int) ([]customer, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+columns+" FROM customers ORDER BY id LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[customer])
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) {
	limit := 100
	if v := r.URL.Query().Get("limit"); v != "" {
		var err error
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 1000 {
			write(w, http.StatusBadRequest, map[string]string{"error": "limit must be between 1 and 1000"})
			return
		}
	}
	all, err := s.customers(r.Context(), limit)
	answer(w, all, err)
}

func (s *Service) get(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		write(w, http.StatusNotFound, map[string]string{"error": "no such customer"})
		return
	}
	rows, err := s.pool.Query(r.Context(), "SELECT "+columns+" FROM customers WHERE id = $1", id)
	if err != nil {
		answer(w, nil, err)
		return
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[customer])
	answer(w, c, err)
}

func (s *Service) remove(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		write(w, http.StatusNotFound, map[string]string{"error": "no such customer"})
		return
	}
	ctx := r.Context()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM orders WHERE customer_id = $1", id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "DELETE FROM customers WHERE id = $1", id)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		return err
	})
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// events sends a customer every 100 ms, until the client goes or there are no more.
func (s *Service) events(w http.ResponseWriter, r *http.Request) {
	all, err := s.customers(r.Context(), 1000)
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flusher, ok := w.(http.Flusher)
	if !ok {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i, c := range all {
		text, err := json.Marshal(c)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "id: %d\nevent: customer\ndata: %s\n\n", i+1, text); err != nil {
			return
		}
		flusher.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// export repeats the customers until there are as many megabytes as asked for.
func (s *Service) export(w http.ResponseWriter, r *http.Request) {
	megabytes, err := strconv.Atoi(r.URL.Query().Get("mb"))
	if err != nil || megabytes < 1 || megabytes > 2000 {
		write(w, http.StatusBadRequest, map[string]string{"error": "mb must be between 1 and 2000"})
		return
	}
	all, err := s.customers(r.Context(), 1000)
	if err != nil || len(all) == 0 {
		answer(w, nil, errors.Join(err, errors.New("nothing to export")))
		return
	}
	text, err := json.Marshal(all)
	if err != nil {
		answer(w, nil, err)
		return
	}
	block := text[1 : len(text)-1] // the objects between the brackets
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write([]byte("[")); err != nil {
		return
	}
	for sent := 0; sent < megabytes<<20; sent += len(block) + 1 {
		if sent > 0 {
			if _, err := w.Write([]byte(",")); err != nil {
				return
			}
		}
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	_, _ = w.Write([]byte("]\n")) // who does not hear it has gone
}

// echo shows what arrived.
func (s *Service) echo(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, map[string]any{"method": r.Method, "path": r.URL.RequestURI(), "host": r.Host, "headers": r.Header})
}

func answer(w http.ResponseWriter, v any, err error) {
	switch {
	case err == nil:
		write(w, http.StatusOK, v)
	case errors.Is(err, pgx.ErrNoRows):
		write(w, http.StatusNotFound, map[string]string{"error": "no such customer"})
	default:
		write(w, http.StatusInternalServerError, map[string]string{"error": "the database does not answer"})
	}
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who does not hear it has gone
}

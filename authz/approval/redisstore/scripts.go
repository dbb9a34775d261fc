package redisstore

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/common.lua
var commonLua string

//go:embed lua/create.lua
var createLua string

//go:embed lua/get.lua
var getLua string

//go:embed lua/progress.lua
var progressLua string

//go:embed lua/vote.lua
var voteLua string

//go:embed lua/finish.lua
var finishLua string

//go:embed lua/changes.lua
var changesLua string

//go:embed lua/list.lua
var listLua string

// scripts are the moves, each a Lua script that the server runs alone.
type scripts struct {
	create, get, progress, vote, finish, changes, list *redis.Script
}

func newScripts() scripts {
	with := func(lua string) *redis.Script { return redis.NewScript(commonLua + lua) }
	return scripts{
		create: with(createLua), get: with(getLua), progress: with(progressLua), vote: with(voteLua),
		finish: with(finishLua), changes: with(changesLua), list: with(listLua),
	}
}

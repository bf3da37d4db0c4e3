-- Accounts of one host of prosody, from JSON on stdin: {"host": ..., "accounts": {user: password}}. Runs as prosody's user.
-- Passwords appear in no list of processes, and an account that has its password already is left alone.
package.path = "/usr/lib/prosody/?.lua;" .. package.path
package.cpath = "/usr/lib/prosody/?.so;" .. package.cpath
require "loader" -- prosody's own: finds `prosody.x` there

local json = require "prosody.util.json"
local data = require "prosody.util.datamanager"
local scram = require "prosody.util.sasl.scram"
local hex = require "prosody.util.hex"
local random = require "prosody.util.random"

data.set_data_path("/var/lib/prosody")
local wanted = assert(json.decode(io.read("a")), "no JSON on stdin")
local rounds = 10000

for user, password in pairs(wanted.accounts) do
	local held = data.load(user, wanted.host, "accounts")
	local same = false
	if held and held.salt and held.stored_key then
		local ok, stored = scram.getAuthenticationDatabaseSHA1(password, held.salt, held.iteration_count)
		same = ok and hex.to(stored) == held.stored_key
	end
	if not same then
		local salt = hex.to(random.bytes(16))
		local ok, stored, server = scram.getAuthenticationDatabaseSHA1(password, salt, rounds)
		assert(ok, stored)
		assert(data.store(user, wanted.host, "accounts", {
			salt = salt; iteration_count = rounds; stored_key = hex.to(stored); server_key = hex.to(server);
			created = held and held.created or os.time(); updated = os.time();
		}))
		print("changed " .. user)
	end
end

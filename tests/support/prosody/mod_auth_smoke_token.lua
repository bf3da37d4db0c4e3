-- For the smoke tests alone: prosody's own anonymous sign-in, but only for who brings a token (JWT, HS256) in the address.
-- What Jitsi's package does in an installation; here so that the tests have a server that refuses.
local jwt = require "util.jwt";
local new_sasl = require "util.sasl".new;
local form = require "util.http".formdecode;

local secret = module:get_option_string("smoke_token_secret");
local app = module:get_option_string("smoke_token_app");
local provider = {};

local function remember(event)
	local query = event.request.url.query;
	event.session.smoke_token = query and (form(query) or {}).token;
end
module:hook_global("bosh-session", remember);
module:hook_global("websocket-session", remember);

local function good(token)
	if not token then return false; end
	local holds, said = jwt.verify(secret, token);
	local now = os.time();
	return holds == true and said.iss == app and said.aud == app and said.exp > now and said.nbf <= now;
end

function provider.get_sasl_handler(session)
	local handler = new_sasl(module.host, { anonymous = function () return true; end });
	local process = handler.process;
	function handler:process(message)
		if not good(session.smoke_token) then
			return "failure", "not-allowed";
		end
		return process(self, message);
	end
	return handler;
end

function provider.user_exists() return nil; end
function provider.test_password() return nil; end

module:provides("auth", provider);

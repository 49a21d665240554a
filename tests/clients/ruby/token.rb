# Ruby's oauth2 in each of its ways. Run by test_tokens.py.

require "oauth2"

%i[basic_auth request_body].each do |scheme|
  client = OAuth2::Client.new(
    ENV.fetch("LOGIN"), ENV.fetch("PASSWORD"),
    site: ENV.fetch("ISSUER"), token_url: "/api/oauth/token", auth_scheme: scheme
  )
  puts client.client_credentials.get_token.get("/api/moi").status
end

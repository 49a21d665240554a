// oidc-provider: one of the peers of bin/bench --peers. PEER_PORT is a port of the loopback,
// PEER_CLIENTS a number of clients, PEER_SECRET the secret of each, which this library keeps as it
// is. It ends when its standard input does.

import Provider from 'oidc-provider';

const LARGEST = 100_000;

// The library's own adapter keeps 1,000 entries, fewer than the tokens of one round. This one keeps
// more, and drops the one that was used longest ago.
class Memory {
    static entries = new Map();

    constructor(model) {
        this.model = model;
    }

    async upsert(id, payload) {
        const key = `${this.model}:${id}`;
        Memory.entries.delete(key);
        Memory.entries.set(key, payload);
        if (Memory.entries.size > LARGEST) Memory.entries.delete(Memory.entries.keys().next().value);
    }

    async find(id) {
        const key = `${this.model}:${id}`;
        const payload = Memory.entries.get(key);
        if (payload) {
            Memory.entries.delete(key);
            Memory.entries.set(key, payload);
        }
        return payload;
    }

    async destroy(id) {
        Memory.entries.delete(`${this.model}:${id}`);
    }
}

const { PEER_PORT, PEER_CLIENTS, PEER_SECRET } = process.env;
const clients = Array.from({ length: Number(PEER_CLIENTS) }, (_, number) => ({
    client_id: `client-${number}`,
    client_secret: PEER_SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
}));
const provider = new Provider(`http://127.0.0.1:${PEER_PORT}`, {
    adapter: Memory,
    clients,
    cookies: { keys: [PEER_SECRET] },
    features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        introspection: { enabled: true },
        revocation: { enabled: true },
    },
    scopes: ['openid'],
    ttl: { ClientCredentials: 3600 },
});
provider.listen(Number(PEER_PORT), '127.0.0.1');
process.stdin.on('end', () => process.exit()).resume();

// Elastic's mock of an OpAMP server, steered by JSON lines: a command on standard input, an event on standard output.
// It ends with its standard input.
const readline = require('readline');
const {MockOpAMPServer} = require('@elastic/mockopampserver');

// Numbers of 64 bits as text, bytes as hexadecimal digits.
function plain(key, value) {
    if (typeof value === 'bigint') return String(value);
    if (value?.type === 'Buffer') return Buffer.from(value.data).toString('hex');
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

const say = (event) => process.stdout.write(JSON.stringify(event, plain) + '\n');

async function main() {
    const server = new MockOpAMPServer({logLevel: 'fatal', hostname: '127.0.0.1', port: 0, testMode: true});
    await server.start();
    say({event: 'ready', endpoint: server.endpoint});
    for await (const line of readline.createInterface({input: process.stdin})) {
        const command = JSON.parse(line);
        if (command.do === 'offer') {
            const configMap = {};
            for (const [name, text] of Object.entries(command.files)) {
                configMap[name] = {body: Buffer.from(text), contentType: 'text/plain'};
            }
            server.setAgentConfigMap({configMap});
        }
        say({event: 'done', exchanges: server.testGetRequests().map(({a2s, s2a, res}) => ({a2s, s2a, status: res?.statusCode}))});
    }
    process.exit(0);
}

main();

// A real Vendure on loopback, without a screen, for tests.
//   node shop.js make FILE                      a populated SQLite file
//   node shop.js run FILE PORT [URL SECRET]     the shop; hints by the plugin to URL; says READY
const path = require('path');
const {
    bootstrap, DefaultJobQueuePlugin, dummyPaymentHandler, LanguageCode,
} = require('@vendure/core');

const [, , act, file, port, hookUrl, hookSecret] = process.argv;
const folder = path.dirname(path.resolve(file));

const plugins = [DefaultJobQueuePlugin.init({})];
if (hookUrl) {
    const { StockbridgePlugin } = require(process.env.STOCKBRIDGE_PLUGIN);
    plugins.push(StockbridgePlugin.init({ url: hookUrl, secret: hookSecret }));
}

const config = {
    apiOptions: { port: Number(port || 0), hostname: '127.0.0.1', adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
    authOptions: {
        tokenMethod: ['bearer'],
        superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
        requireVerification: false,
    },
    dbConnectionOptions: {
        type: 'better-sqlite3', database: path.resolve(file), logging: false, synchronize: act === 'make',
    },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    importExportOptions: { importAssetsDir: folder },
    plugins,
};

const argument = (name, value) => ({ name, value });
const initialData = {
    defaultLanguage: LanguageCode.en,
    defaultZone: 'Europe',
    taxRates: [{ name: 'Standard Tax', percentage: 20 }],
    countries: [{ name: 'United Kingdom', code: 'GB', zone: 'Europe' }],
    shippingMethods: [{ name: 'Standard Shipping', price: 500 }],
    paymentMethods: [{
        name: 'Standard Payment',
        handler: { code: dummyPaymentHandler.code, arguments: [argument('automaticSettle', 'true')] },
    }],
    collections: [],
};

async function make() {
    const { populate } = require('@vendure/core/cli');
    const app = await populate(() => bootstrap(config), initialData);
    await app.close();
}

async function run() {
    const app = await bootstrap(config);
    console.log('READY', app.getHttpServer().address().port);
    // Whoever started it holds its standard input: it ends with them.
    process.stdin.on('end', () => process.exit(0)).resume();
}

(act === 'make' ? make() : run()).then(
    () => act === 'make' && process.exit(0),
    error => { console.error(error); process.exit(1); },
);

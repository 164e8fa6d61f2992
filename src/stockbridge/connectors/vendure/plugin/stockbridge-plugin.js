// Tells the hub at once that orders changed: signed hints (Standard Webhooks), no content.
//
//   const { StockbridgePlugin } = require('./stockbridge-plugin');
//   plugins: [StockbridgePlugin.init({ url: 'https://HUB/v1/webhooks/SYSTEM', secret: 'whsec_...' })]
//
// A hint that cannot be delivered is tried again for some minutes; what is lost the hub's poll finds.
const { createHmac, randomUUID } = require('crypto');
const {
    EventBus, Logger, OrderPlacedEvent, OrderStateTransitionEvent, PluginCommonModule,
    StockMovementEvent, VendurePlugin,
} = require('@vendure/core');

const PAUSES_MS = [1_000, 5_000, 30_000, 120_000];
const CALLED_OFF = new Set(['RELEASE', 'CANCELLATION']);
const CONTEXT = 'StockbridgePlugin';

class StockbridgePlugin {
    static init(options) {
        StockbridgePlugin.options = options;
        return StockbridgePlugin;
    }

    constructor(eventBus) {
        this.eventBus = eventBus;
    }

    onApplicationBootstrap() {
        this.eventBus.ofType(OrderPlacedEvent).subscribe(event =>
            this.tell({ type: 'order.placed', code: event.order.code }));
        this.eventBus.ofType(OrderStateTransitionEvent).subscribe(event => {
            if (!event.order.active) {
                this.tell({ type: 'order.state', code: event.order.code, state: event.toState });
            }
        });
        this.eventBus.ofType(StockMovementEvent).subscribe(event => {
            if (event.stockMovements.some(movement => CALLED_OFF.has(movement.type))) {
                this.tell({ type: 'order.lines' });
            }
        });
    }

    async tell(hint) {
        const id = randomUUID();
        const body = JSON.stringify(hint);
        for (const pause of [...PAUSES_MS, null]) {
            if (await this.post(id, body)) {
                return;
            }
            if (pause !== null) {
                await new Promise(resolve => setTimeout(resolve, pause).unref());
            }
        }
        Logger.warn(`${hint.type} was not taken; the hub's poll will find it`, CONTEXT);
    }

    async post(id, body) {
        const { url, secret } = StockbridgePlugin.options;
        const timestamp = Math.floor(Date.now() / 1000);
        const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
        const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
        const headers = {
            'content-type': 'application/json',
            'webhook-id': id,
            'webhook-timestamp': String(timestamp),
            'webhook-signature': `v1,${signature}`,
        };
        try {
            const signal = AbortSignal.timeout(10_000);
            return (await fetch(url, { method: 'POST', headers, body, signal })).ok;
        } catch (error) {
            Logger.debug(`${url}: ${error}`, CONTEXT);
            return false;
        }
    }
}

// What decorators would do, without a compiler.
Reflect.defineMetadata('design:paramtypes', [EventBus], StockbridgePlugin);
VendurePlugin({ imports: [PluginCommonModule], compatibility: '^3.0.0' })(StockbridgePlugin);

module.exports = { StockbridgePlugin };

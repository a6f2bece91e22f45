// Loaded by NODE_OPTIONS=--import: a process whose clock is SDGEN_TEST_SKEW_MS off.
const skew = Number(process.env.SDGEN_TEST_SKEW_MS ?? 0);
const now = Date.now.bind(Date);
const skewed = new Proxy(Date, {
  construct: (target, given) => Reflect.construct(target, given.length === 0 ? [now() + skew] : given),
  get: (target, key) => (key === 'now' ? () => now() + skew : Reflect.get(target, key)),
});
Reflect.set(globalThis, 'Date', skewed);

//! A button that may be pressed after a while, and says when.

/**
 * Disables the button for `waitMs`, its label counting down in whole seconds: `Try again in 12 s`.
 * A button that leaves the page, or is counted down anew, ends the count.
 */
export function countDown(button, label, waitMs) {
  const end = performance.now() + waitMs;
  const turn = Symbol("countdown");
  running.set(button, turn);
  const tick = () => {
    if (running.get(button) !== turn || !button.isConnected) return;
    const left = Math.ceil((end - performance.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `${label} in ${left} s` : label;
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
}

const running = new WeakMap();

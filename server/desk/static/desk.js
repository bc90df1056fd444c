// Nothing here is needed: without it a page is loaded anew by hand.
"use strict";

// A one-time link has its code behind the #, which the browser does not send: it goes into the form.
const form = document.querySelector("form[data-link]");
if (form && location.hash.length > 1) {
  form.elements.key.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  form.querySelector("button").focus();
}

// What says data-live is fetched again every so many seconds, as long as it says so and the page is looked at.
function live(part) {
  const seconds = Number(part.dataset.every) || 5;
  setTimeout(async () => {
    if (document.hidden || part.contains(document.activeElement)) return live(part);
    let fresh = null;
    try {
      const answer = await fetch(part.dataset.live, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        fresh = part.id ? page.getElementById(part.id) : page.querySelector("[data-live]");
      }
    } catch { /* The server is away: it is asked again. */ }
    if (!fresh) return live(part);
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    part.replaceWith(fresh);
    fresh.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
    document.dispatchEvent(new Event("fresh"));
    if (fresh.dataset.live) live(fresh);
  }, seconds * 1000);
}
document.querySelectorAll("[data-live]").forEach(live);

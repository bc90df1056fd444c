// Nothing here is needed: without it a page is loaded anew by hand.
"use strict";

// A one-time link has its code behind the #, which the browser does not send: it goes into the form.
const form = document.querySelector("form[data-link]");
if (form && location.hash.length > 1) {
  form.elements.key.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  form.querySelector("button").focus();
}

// Puts fresh content into a part, with what was open left open.
function renew(part, fresh) {
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  part.replaceChildren(...fresh.childNodes);
  part.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
  document.dispatchEvent(new Event("fresh"));
}

const parsed = (text) => new DOMParser().parseFromString(text, "text/html");

// What says data-live is fetched again every so many seconds, as long as it says so and the page is looked at.
function live(part) {
  const seconds = Number(part.dataset.every) || 5;
  setTimeout(async () => {
    if (document.hidden || part.contains(document.activeElement)) return live(part);
    let fresh = null;
    try {
      const answer = await fetch(part.dataset.live, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) {
        const page = parsed(await answer.text());
        fresh = part.id ? page.getElementById(part.id) : page.querySelector("[data-live]");
      }
    } catch { /* The server is away: it is asked again. */ }
    if (!fresh) return live(part);
    if (!fresh.dataset.live) part.removeAttribute("data-live");
    renew(part, fresh);
    if (part.dataset.live) live(part);
  }, seconds * 1000);
}

// What says data-stream is told what changes, while the page is looked at; where that is refused it is fetched.
function stream(part) {
  let source = null;
  const close = () => { source?.close(); source = null; };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(part.dataset.stream);
    source.addEventListener("overview", (event) => {
      if (!part.contains(document.activeElement)) renew(part, parsed(JSON.parse(event.data)).body);
    });
    source.addEventListener("over", () => { close(); location.reload(); });
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      document.removeEventListener("visibilitychange", look);
      live(part);
    });
  };
  const look = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

document.querySelectorAll("[data-live]").forEach((part) => (part.dataset.stream ? stream : live)(part));

// Two languages. The browser's wish decides until the switch does; the choice is kept for the next visit.

import { words } from "./words.js";

const CHOICE = "carelane.language";

export let language = localStorage.getItem(CHOICE) ?? (navigator.languages.find((tag) => /^(en|zh)/i.test(tag)) ?? "en").slice(0, 2).toLowerCase();

/** The words under a key, with {places} filled in. An unknown key is shown as it is: what the server says stays said. */
export function t(id, values = {}) {
  const text = words[id]?.[language === "zh" ? 1 : 0] ?? id;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Put words into every element that names some. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem(CHOICE, language);
}

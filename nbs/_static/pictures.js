/* Pictures that answer: the table that fills, the map of movies, weight decay. Python computes the numbers (`make demo`); this draws them.

A <div class="picture" data-picture="fill"> holds the sentence that is shown without this script or without the numbers. */
(() => {
const numbers = new URL('pictures-data.js', document.currentScript.src)
const SVG = 'http://www.w3.org/2000/svg'

function element(tag, attributes = {}, ...children) {
  const el = document.createElement(tag)
  for (const [name, val] of Object.entries(attributes)) el.setAttribute(name, val)
  el.append(...children)
  return el
}
function drawn(tag, attributes = {}, text = '') {
  const el = document.createElementNS(SVG, tag)
  for (const [name, val] of Object.entries(attributes)) el.setAttribute(name, val)
  el.textContent = text
  return el
}
/** A slider with its label; `show` is told its place, and returns what a screen reader should say */
function slider(label, last, first, show) {
  const input = element('input', {type: 'range', min: 0, max: last, value: first})
  const tell = () => input.setAttribute('aria-valuetext', show(+input.value))
  input.addEventListener('input', tell)
  return [element('label', {class: 'picture-slider'}, element('span', {}, label), input), tell]
}
/** From violet to yellow, in even steps of lightness as in matplotlib's viridis */
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
function colour(share) {
  const at = Math.max(0, Math.min(0.9999, share)) * (VIRIDIS.length - 1), i = Math.floor(at), rest = at - i
  return VIRIDIS[i].map((o, j) => Math.round(o + rest * (VIRIDIS[i + 1][j] - o)))
}

/** Lesson 2's table: drag through the steps of gradient descent */
function fill(place, {users, titles, known, steps, cells, losses}) {
  const body = element('tbody'), said = element('p', {role: 'status'})
  const head = element('tr', {}, element('th', {scope: 'col'}, 'user'), ...titles.map(o => element('th', {scope: 'col', class: 'upright'}, element('span', {}, o))))
  const boxes = users.map((user, row) => {
    const tds = titles.map((_, col) => element('td', known[row][col] === null ? {class: 'hole'} : {title: `${known[row][col]} stars in the data`}))
    body.append(element('tr', {}, element('th', {scope: 'row'}, String(user)), ...tds))
    return tds
  })
  const [control, tell] = slider('steps', steps.length - 1, 0, at => {
    cells[at].forEach((line, row) => line.forEach((val, col) => {
      const [r, g, b] = colour((val - 1) / 4), box = boxes[row][col]
      box.textContent = val.toFixed(1).replace('-0.0', '0.0')
      box.style.background = `rgb(${r}, ${g}, ${b})`
      box.style.color = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? '#000' : '#fff'
    }))
    said.textContent = `After ${steps[at]} ${steps[at] === 1 ? 'step' : 'steps'}: mean squared error ${losses[at].toFixed(3)} on the known cells. Framed cells are holes, so nobody knows how wrong they are.`
    return `${steps[at]} steps`
  })
  place.replaceChildren(control, said, element('div', {class: 'picture-scroll'}, element('table', {class: 'picture-table'}, element('caption', {}, 'Predicted stars'), element('thead', {}, head), body)))
  tell()
}

/** Lesson 12's map: names on hover, a search, the nearest lit up */
function map(place, {titles, places, nearest, shown}) {
  const svg = drawn('svg', {viewBox: '-1.08 -1.08 2.16 2.16', role: 'img', 'aria-label': `Map of ${titles.length} movies; search below to find one and its neighbours`})
  const names = element('datalist', {id: 'picture-titles'}, ...titles.map(o => element('option', {value: o})))
  const search = element('input', {type: 'text', list: 'picture-titles', id: 'picture-search', placeholder: 'Type a title, such as Fargo'})
  const said = element('p', {role: 'status'}), label = drawn('text', {class: 'picture-name'})
  const dots = titles.map((title, i) => {
    const [x, y] = places[i], dot = drawn('circle', {cx: x, cy: -y, r: 0.014})
    dot.append(drawn('title', {}, title))
    dot.addEventListener('pointerenter', () => name(i))
    dot.addEventListener('click', () => choose(i))
    return dot
  })
  function name(i) {
    const [x, y] = places[i]
    label.setAttribute('x', x); label.setAttribute('y', -y - 0.03)
    label.setAttribute('text-anchor', x > 0.4 ? 'end' : x < -0.4 ? 'start' : 'middle')
    label.textContent = titles[i]
  }
  function choose(i) {
    dots.forEach((dot, j) => dot.setAttribute('class', j === i ? 'chosen' : nearest[i].includes(j) ? 'near' : ''))
    for (const j of [...nearest[i], i]) svg.insertBefore(dots[j], label)
    name(i)
    said.textContent = `Nearest to ${titles[i]} by the cosine of all factors: ${nearest[i].map(j => titles[j]).join('; ')}. The map shows two directions of many, so neighbours may lie apart on it.`
  }
  search.addEventListener('input', () => { const i = titles.indexOf(search.value); if (i >= 0) choose(i) })
  search.addEventListener('change', () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean), i = titles.findIndex(o => words.every(word => o.toLowerCase().includes(word)))
    if (words.length && i >= 0) choose(i)
    else if (words.length) said.textContent = `No title on this map has “${search.value}” in it.`
  })
  svg.append(...dots, label)
  place.replaceChildren(svg, element('div', {class: 'picture-search'}, element('label', {for: 'picture-search'}, 'Find a movie'), search, names), said)
  choose(shown)
}

/** Lesson 10's question: training and validation loss, as weight decay changes */
function decay(place, {wds, train, valid}) {
  const w = 560, h = 260, left = 46, bottom = 34, all = [...train, ...valid].flat(), lo = Math.min(...all), hi = Math.max(...all), n = train[0].length
  const x = i => left + i * (w - left - 90) / (n - 1), y = o => 12 + (hi - o) / (hi - lo) * (h - bottom - 24)
  const svg = drawn('svg', {viewBox: `0 0 ${w} ${h}`, role: 'img'}), said = element('p', {role: 'status'})
  for (let i = 0; i < n; i++) svg.append(drawn('text', {x: x(i), y: h - 12, 'text-anchor': 'middle'}, i === n - 1 ? `epoch ${i}` : String(i)))
  for (let o = Math.ceil(lo * 5) / 5; o <= hi; o += 0.2) svg.append(drawn('line', {x1: left, x2: x(n - 1), y1: y(o), y2: y(o), class: 'grid'}), drawn('text', {x: left - 6, y: y(o) + 4, 'text-anchor': 'end'}, o.toFixed(1)))
  const lines = ['training', 'validation'].map(o => [drawn('polyline', {class: o}), drawn('text', {class: o, x: x(n - 1) + 8}, o)])
  svg.append(...lines.flat())
  const [control, tell] = slider('weight decay', wds.length - 1, 0, at => {
    [train[at], valid[at]].forEach((losses, k) => {
      lines[k][0].setAttribute('points', losses.map((o, i) => `${x(i)},${y(o)}`).join(' '))
      lines[k][1].setAttribute('y', y(losses[n - 1]) + 4)
    })
    said.textContent = `wd=${wds[at]}: after the last epoch the loss is ${train[at][n - 1].toFixed(3)} on the ratings it learned from and ${valid[at][n - 1].toFixed(3)} on those it did not see.`
    svg.setAttribute('aria-label', said.textContent)
    return `weight decay ${wds[at]}`
  })
  place.replaceChildren(control, said, svg)
  tell()
}

const PICTURES = {fill, map, decay}
function start() {
  const places = [...document.querySelectorAll('div.picture')]
  if (!places.length) return
  const script = element('script', {src: numbers.href})
  script.addEventListener('load', () => places.forEach(o => PICTURES[o.dataset.picture](o, window.COLLAB_COURSE_PICTURES[o.dataset.picture])))
  const seen = new IntersectionObserver(entries => {
    if (!entries.some(o => o.isIntersecting)) return
    seen.disconnect()
    document.head.append(script)
  })
  places.forEach(o => seen.observe(o))
}
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start)
else start()
})()

/* Rate a few films: lesson 15's ridge regression in the page. The model is a file of the site's own, and nothing is sent anywhere.

A <div class="demo"> holds what is shown without this script or without the model: a picture or a sentence, and a link. */
(() => {
const model = new URL('demo-model.js', document.currentScript.src)
const lesson = new URL('../15_new_users.html', document.currentScript.src)

function floats(text) { return new Float32Array(Uint8Array.from(atob(text), o => o.charCodeAt(0)).buffer) }
function dot(a, b) { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum }

/** The inverse of a symmetric positive matrix, by Gauss and Jordan */
function inverse(matrix) {
  const n = matrix.length, a = matrix.map((row, i) => [...row, ...Array.from({length: n}, (_, j) => +(i === j))])
  for (let i = 0; i < n; i++) {
    const pivot = a[i][i]
    for (let j = 0; j < 2 * n; j++) a[i][j] /= pivot
    for (let r = 0; r < n; r++) {
      const times = a[r][i]
      if (r !== i && times) for (let j = 0; j < 2 * n; j++) a[r][j] -= times * a[i][j]
    }
  }
  return a.map(row => row.slice(n))
}

/** What a model knows of each film, and what ratings tell it of the one who gave them */
class Films {
  constructor({titles, items, mean, cov, range, noise}) {
    const rows = floats(items), d = rows.length / titles.length
    mean = Array.from(floats(mean))
    this.titles = titles
    ;[this.lo, this.hi] = range
    this.noise = noise
    const flat = floats(cov)
    this.cov = mean.map((_, i) => Array.from(flat.subarray(i * d, (i + 1) * d)))
    this.films = titles.map((title, i) => {
      const row = Array.from(rows.subarray(i * d, (i + 1) * d)), bias = row[d - 1]
      row[d - 1] = 1
      const score = dot(row, mean) + bias, average = this.stars(score)
      return {row, score, average, slope: (average - this.lo) * (this.hi - average) / (this.hi - this.lo)}
    })
  }
  stars(score) { return this.lo + (this.hi - this.lo) / (1 + Math.exp(-score)) }

  /** For each film: what the average user is predicted to give, the prediction for whoever gave `ratings` (a Map of film to stars), its
      standard deviation, and the share of each rating in the difference. As RidgeFit; with as many equations as there are ratings. */
  fold(ratings) {
    const rated = [...ratings.keys()]
    const J = rated.map(i => this.films[i].row.map(o => o * this.films[i].slope))
    const CJ = J.map(o => this.cov.map(row => dot(row, o)))
    const A = inverse(J.map((a, i) => CJ.map((b, j) => dot(a, b) + (i === j ? this.noise ** 2 : 0))))
    const surprise = rated.map(i => ratings.get(i) - this.films[i].average)
    return this.films.map(({row, score, average, slope}) => {
      const v = CJ.map(o => dot(row, o)), w = A.map(o => dot(o, v))
      const moves = w.map((o, i) => o * surprise[i]), total = moves.reduce((a, b) => a + b, 0)
      const prediction = this.stars(score + total)
      const rise = Math.abs(total) < 1e-6 ? slope : (prediction - average) / total
      const variance = dot(row, this.cov.map(o => dot(o, row))) - dot(v, w)
      return {average, prediction, match: prediction - average, deviation: slope * Math.sqrt(Math.max(variance, 0)), shares: moves.map(o => o * rise)}
    })
  }
}

function element(tag, attributes = {}, ...children) {
  const el = Object.assign(document.createElement(tag), attributes)
  for (const [name, val] of Object.entries(attributes)) if (name.includes('-') || name === 'role' || name === 'for') el.setAttribute(name, val)
  el.append(...children)
  return el
}

let numbers = 0
class Demo {
  constructor(place, films) {
    this.films = films
    this.ratings = new Map()
    this.shown = films.titles.slice(0, 6).map((_, i) => i)
    const id = this.id = `demo-${++numbers}`
    this.search = element('input', {type: 'text', id: `${id}-search`, role: 'combobox', autocomplete: 'off', spellcheck: false, placeholder: 'Type a title, such as Casablanca',
      'aria-expanded': 'false', 'aria-controls': `${id}-found`, 'aria-autocomplete': 'list'})
    this.found = element('ul', {id: `${id}-found`, role: 'listbox', hidden: true, 'aria-label': 'Films found'})
    this.rows = element('div', {className: 'demo-rows'})
    this.slider = element('input', {type: 'range', min: 0, max: 100, value: 50, id: `${id}-slider`})
    this.list = element('ol', {className: 'demo-list'})
    this.said = element('p', {className: 'demo-said', role: 'status'})
    const above = place.closest('section').querySelector('h1, h2, h3')
    place.replaceChildren(
      element(`h${+above.tagName[1] + 1}`, {textContent: 'Rate a few films'}),
      element('div', {className: 'demo-columns'},
        element('section', {'aria-label': 'Your stars'},
          element('div', {className: 'demo-search'}, element('label', {for: `${id}-search`, textContent: 'Add a film'}), this.search, this.found), this.rows),
        element('section', {'aria-label': 'Ten films for you'}, this.said,
          element('label', {className: 'demo-slider', for: `${id}-slider`}, element('span', {textContent: 'what most people like'}), this.slider, element('span', {textContent: 'what fits you'})),
          this.list)),
      element('p', {className: 'demo-note', innerHTML: `<a href="${lesson.href}">Lesson 15</a> teaches how this list and its reasons are computed. It is done in this page; nothing you do here is sent anywhere. `
        + '± is the standard deviation of what your stars leave open about you. In the middle of the slider the films are in the order of their predicted stars. '
        + 'Model of this course, learned from MovieLens 100K: F. Maxwell Harper and Joseph A. Konstan (2015), <cite>The MovieLens Datasets: History and Context</cite>, '
        + 'ACM TiiS 5(4), <a href="https://doi.org/10.1145/2827872">doi:10.1145/2827872</a>.'}))
    this.search.addEventListener('input', () => this.find())
    this.search.addEventListener('keydown', o => this.key(o))
    this.search.addEventListener('blur', () => this.close())
    this.slider.addEventListener('input', () => this.recommend())
    for (const film of this.shown) this.rows.append(this.row(film))
    this.recommend()
  }

  find() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean)
    const hits = words.length ? this.films.titles.map((title, i) => [title.toLowerCase(), i]).filter(([o]) => words.every(word => o.includes(word))).slice(0, 8) : []
    this.found.replaceChildren(...hits.map(([, film], place) => {
      const el = element('li', {role: 'option', id: `${this.id}-option-${place}`, textContent: this.films.titles[film], 'aria-selected': 'false'})
      el.film = film
      el.addEventListener('pointerdown', o => { o.preventDefault(); this.add(film) })
      return el
    }))
    if (words.length && !hits.length) this.found.append(element('li', {className: 'demo-none', textContent: 'No film of this name among those the model knows.'}))
    this.found.hidden = !words.length
    this.search.setAttribute('aria-expanded', String(!!hits.length))
    this.point(hits.length ? 0 : -1)
  }
  point(place) {
    this.place = place
    const options = [...this.found.querySelectorAll('[role=option]')]
    options.forEach((o, i) => o.setAttribute('aria-selected', String(i === place)))
    if (options[place]) this.search.setAttribute('aria-activedescendant', options[place].id)
    else this.search.removeAttribute('aria-activedescendant')
  }
  key(event) {
    const options = [...this.found.querySelectorAll('[role=option]')]
    if (event.key === 'Escape') return this.close()
    if (!options.length || !['ArrowDown', 'ArrowUp', 'Enter'].includes(event.key)) return
    event.preventDefault()
    if (event.key === 'Enter') this.add(options[this.place].film)
    else this.point((this.place + (event.key === 'ArrowDown' ? 1 : options.length - 1)) % options.length)
  }
  close() {
    this.found.hidden = true
    this.search.setAttribute('aria-expanded', 'false')
    this.point(-1)
  }
  add(film) {
    this.search.value = ''
    this.close()
    if (!this.shown.includes(film)) {
      this.shown.unshift(film)
      this.rows.prepend(this.row(film))
    }
    this.rows.querySelector(`[data-film="${film}"] input`).focus()
  }

  row(film) {
    const title = this.films.titles[film], stars = element('span', {className: 'demo-stars', role: 'radiogroup', 'aria-label': `Your stars for ${title}`})
    const show = () => stars.querySelectorAll('label').forEach((o, i) => o.classList.toggle('on', i < (this.ratings.get(film) || 0)))
    for (let n = 1; n <= 5; n++) {
      const input = element('input', {type: 'radio', name: `${this.id}-${film}`, value: n, id: `${this.id}-${film}-${n}`, 'aria-label': `${n} ${n === 1 ? 'star' : 'stars'}`})
      input.addEventListener('change', () => { this.ratings.set(film, n); show(); this.recommend() })
      stars.append(input, element('label', {for: input.id, textContent: '★', title: `${n} of 5`, 'aria-hidden': 'true'}))
    }
    const away = element('button', {type: 'button', textContent: '×', 'aria-label': `Take ${title} away`})
    const row = element('div', {className: 'demo-row', 'data-film': film}, element('span', {className: 'demo-title', textContent: title}), stars, away)
    away.addEventListener('click', () => {
      this.ratings.delete(film)
      this.shown = this.shown.filter(o => o !== film)
      ;((row.nextSibling || row.previousSibling)?.querySelector('button') || this.search).focus()
      row.remove()
      this.recommend()
    })
    return row
  }

  recommend() {
    const all = this.films.fold(this.ratings), taste = this.slider.value / 100, rated = [...this.ratings.keys()]
    const best = all.map((o, i) => [(1 - taste) * o.average + taste * o.match, i]).filter(([, i]) => !this.ratings.has(i))
      .sort((a, b) => b[0] - a[0] || all[b[1]].average - all[a[1]].average || a[1] - b[1]).slice(0, 10)
    this.list.replaceChildren(...best.map(([, i]) => {
      const {prediction, deviation, shares} = all[i]
      const reasons = shares.map((o, j) => [o, j]).filter(([o]) => o > 0.005).sort((a, b) => b[0] - a[0]).slice(0, 2)
      const text = reasons.map(([, j]) => `${this.films.titles[rated[j]].replace(/ \(\d{4}\)$/, '')} ${this.ratings.get(rated[j])}`).join(' and ')
      return element('li', {'data-film': i, 'data-prediction': prediction, 'data-deviation': deviation},
        element('span', {className: 'demo-title', textContent: this.films.titles[i]}),
        element('span', {className: 'demo-number', textContent: `${prediction.toFixed(1)} ± ${deviation.toFixed(1)} ★`}),
        element('span', {className: 'demo-why', textContent: text ? `because you gave ${text}` : 'because most people like it'}))
    }))
    this.said.textContent = rated.length ? `Ten films for you, after ${rated.length} ${rated.length === 1 ? 'rating' : 'ratings'}, with the stars the model expects from you.`
      : 'What the model would show somebody it knows nothing about. Give some stars, and watch the list.'
  }
}

function start() {
  const places = [...document.querySelectorAll('div.demo')]
  if (!places.length) return
  const script = element('script', {src: model.href})
  script.addEventListener('load', () => {
    const films = new Films(window.COLLAB_COURSE_DEMO)
    window.COLLAB_COURSE_DEMO.films = films
    for (const place of places) new Demo(place, films)
  })
  const seen = new IntersectionObserver(entries => {
    if (!entries.some(o => o.isIntersecting)) return
    seen.disconnect()
    document.head.append(script) // 400 KB that only those who come here need
  })
  places.forEach(o => seen.observe(o))
}
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start)
else start()
})()

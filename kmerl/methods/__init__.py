"""One file a method; `method:` of params.yaml names it. A file here exports

- `Options`, where the method has hyper-parameters of its own: a `checked` class with defaults
  and their sources, which `options:` of params.yaml overrides. A field `rate` is the records'
  own, ingest.rate, and can be nothing else.
- `MethodParams`: a `checked` class whose fields are the sections of params.yaml that make the
  model, `options: Options` among them.
- `Method(params, entities, record_samples)`: a module. `forward(batch, generator)` gives named,
  weighted loss terms, whose sum is trained; chance comes from `generator` alone, but for dropout.
  `encoder(signal, leads)` gives tokens of `encoder.width` for any leads in any order, by name;
  their mean (`kmerl.models.vit.pool`) is the record's feature. Where a method has them:
  `advance(progress)`, called before each training step with the share of the training that is
  done; `projector`, which the monitors watch; `score` and `similarity`, which answer class names.
- `lead_mask(params)`, where training is not to show all leads.

No file imports another: a stage depends on the chosen one alone.
"""

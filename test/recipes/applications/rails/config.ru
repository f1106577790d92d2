# A whole Rails application in one file, without a database.
require 'rails'
require 'action_controller/railtie'
require 'action_cable/engine'

class Application < Rails::Application
  config.load_defaults 6.1
  config.root = __dir__
  config.eager_load = true
  config.secret_key_base = 'for tests alone'
  config.logger = Logger.new($stderr)
  config.action_cable.cable = { 'adapter' => 'async' }
  config.action_cable.mount_path = '/cable'
end

require_relative ENV.fetch('SETTINGS')
Rails.application.initialize!

class PagesController < ActionController::Base
  protect_from_forgery with: :exception, except: :upload

  def who
    render json: { url: who_url, address: request.remote_ip }
  end

  def old
    redirect_to '/new'
  end

  def form
    render plain: request.post? ? 'accepted' : form_authenticity_token
  end

  def upload
    render plain: request.body.size
  end
end

Rails.application.routes.draw do
  get 'who', to: 'pages#who'
  get 'old', to: 'pages#old'
  post 'upload', to: 'pages#upload'
  match 'form', to: 'pages#form', via: %i[get post]
end

run Rails.application
